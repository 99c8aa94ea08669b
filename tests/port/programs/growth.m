% growth by assignment fills with zeros
x = [];
x(2) = 5;
fprintf('%d ', x); fprintf('\n');
x(end+1) = 7;
fprintf('%d ', x); fprintf('\n');
y = 3;
y(3) = 1;
disp(size(y))
z = zeros(2, 0);
z(:, end+1) = [1; 2];
z(:, end+1) = [3; 4];
disp(z)
m = eye(2);
m(3, 4) = 9;
disp(m)
