a = 2;
f = @(x) a * x;
a = 100;
disp(f(3))
g = @(x, y) x + y;
disp(g(1, 2))
h = @max;
disp(h([4 9 2]))
compose = @(u, v) @(x) u(v(x));
sq = @(x) x.^2;
k = compose(sq, @(x) x + 1);
disp(k(2))
fs = {@sin, @(x) x / 2};
disp(fs{2}(8))
n = cellfun(@numel, {'a', 'bcd', ''});
disp(n)
u = cellfun(@(s) [s '!'], {'x', 'y'}, 'UniformOutput', false);
disp(u{2})
w = arrayfun(@(t) t * 10, [1 2 3]);
disp(w)
all_args = @(varargin) numel(varargin);
disp(all_args(1, 2, 3))
