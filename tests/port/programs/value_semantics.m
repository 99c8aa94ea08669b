a.x = 1;
b = a;
b.x = 2;
fprintf('%d %d\n', a.x, b.x);
v = [1 2 3];
w = v;
w(1) = 10;
fprintf('%d %d\n', v(1), w(1));
c = {1, 2};
d = c;
d{1} = 'changed';
disp(c{1})
s.list = v;
v(2) = 0;
fprintf('%d ', s.list); fprintf('\n');
q = change(a);
fprintf('%d %d\n', a.x, q.x);

function s = change(s)
s.x = 99;
end
