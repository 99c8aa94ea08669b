a = [1 2 3]';
b = a';
c = [a' 4];
d = {a', 'text'};
disp(size(a))
disp(b)
disp(c)
disp(d{2})
e = [a', b];
disp(numel(e))
s = ['x' 'y''z'];
disp(s)
f = a.';
disp(f)
g = b(2)';
disp(g)
h.v = a;
disp(h.v')
