A = [1 2; 3 4];
disp(bsxfun(@plus, A, [10 20]))
disp(bsxfun(@minus, A, mean(A, 1)))
disp(bsxfun(@times, [1 2 3], [1; 2]))
im = cat(3, ones(2), 2 * ones(2));
avg = reshape([1 2], 1, 1, 2);
z = bsxfun(@minus, im, avg);
disp(sum(abs(z(:))))
data = zeros(2, 2, 1, 3);
data(:, :, :, 2) = 5;
centred = data - mean(data, 4);
disp(max(centred(:)) - min(centred(:)))
