x = 10:10:50;
disp(x(end))
disp(x(end-1))
fprintf('%d ', x(end:-1:1)); fprintf('\n');
fprintf('%d ', x([1 end])); fprintf('\n');
disp(x(floor(end/2)))
m = [1 2 3; 4 5 6];
disp(m(end, end))
disp(m(end))
disp(m(1, end-1))
c = {1, 'b', 3};
disp(c{end})
disp(c{end-1})
y = [3 1 2];
disp(x(y(end)))
disp(x(min(end, 9)))
