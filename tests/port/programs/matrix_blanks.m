a = [1 -2];
b = [1 - 2];
c = [a (1)];
d = [a(1) -a(2)];
e = [1, 2
     3, 4];
f = {1 -1 'a' @sin};
disp(a)
disp(b)
disp(c)
disp(d)
disp(e)
disp(numel(f))
