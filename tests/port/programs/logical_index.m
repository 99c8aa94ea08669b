x = [3 -1 4 -1 5];
x(x < 0) = 0;
fprintf('%d ', x); fprintf('\n');
fprintf('%d ', x(x > 3)); fprintf('\n');
m = [1 2; 3 4];
disp(m(m > 1))
m(m == 4) = [];
disp(size(m))
k = find([0 1 0 1]);
fprintf('%d ', k); fprintf('\n');
[r, c] = find([0 1; 1 0]);
disp([r c])
mask = logical([1 0 1]);
fprintf('%d\n', sum(mask));
