[u, i, j] = unique([3 1 3 2]);
disp(u)
disp(numel(i))
disp(ismember(2, [1 2 3]))
disp(setdiff([1 2 3 4], [2 3]))
disp(unique({'b', 'a', 'b'}))
disp(accumarray([1; 2; 1], [10; 20; 30])')
disp(histc([1 2 2 3], 1:3))
[tf, at] = ismember({'b', 'z'}, {'a', 'b'});
disp(tf)
disp(at)
