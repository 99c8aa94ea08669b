[h, w, c] = size(ones(4, 5, 3));
fprintf('%d %d %d\n', h, w, c);
[h, rest] = size(ones(4, 5, 3));
fprintf('%d %d\n', h, rest);
[s.a, s.b] = deal(1, 2);
fprintf('%d %d\n', s.a, s.b);
[v(1), v(2)] = deal(7, 8);
disp(v)
[c1{1:2}] = deal(0);
disp(numel(c1))
[~, order] = sort([30 10 20]);
disp(order)
[p, n, e] = fileparts('a/b/c.mat');
fprintf('%s %s %s\n', p, n, e);
