c = {};
c{end+1} = 'x';
c{end+1} = [1 2 3];
disp(numel(c))
disp(class(c{2}))
d = cell(2, 3);
disp(size(d))
disp(isempty(d{1, 2}))
e = [c, {4}];
disp(numel(e))
sub = e(2:3);
disp(class(sub))
c(1) = [];
disp(numel(c))
f = {1, 'a'; 2, 'b'};
disp(f{2, 2})
disp(size(f(:, 1)))
g = {1, 2, 3};
fprintf('%d-', g{:}); fprintf('\n');
h = [g{2:3}];
disp(h)
n = {{1, 2}, 3};
disp(n{1}{2})
