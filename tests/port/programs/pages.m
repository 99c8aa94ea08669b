x = reshape([1 2.5 3], 1, 1, 3)
y = reshape(1:8, 2, 1, 2, 2)
z = uint8(reshape(1:2, 1, 1, 2))
b = reshape([true false], 1, 1, 2)
disp(x(1, 1, 2))
disp(size(x))
fprintf('%d %d %d %d\n', numel(y), ndims(y), isscalar(x), isempty(x)) ;
