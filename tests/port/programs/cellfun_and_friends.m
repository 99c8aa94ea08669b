c = {'a', 'bb', ''};
disp(cellfun(@isempty, c))
disp(cellfun('length', c))
l = cellfun(@(x) numel(x) * 2, c);
disp(l)
s = struct('v', {1, 2, 3});
disp(arrayfun(@(e) e.v + 1, s))
n = num2cell([1 2 3]);
disp(n{3})
m = cell2mat({1 2; 3 4});
disp(m)
d = cellfun(@upper, c, 'UniformOutput', false);
disp(d{2})
[mx, ix] = cellfun(@max, {[1 5], [7 2]});
disp([mx; ix])
