x = 1:5;
x([2 4]) = [];
disp(x)
A = magic4();
A(:, 2) = [];
disp(A)
A(1, :) = [];
disp(A)
s.v = [1 2 3];
s.v(end) = [];
disp(s.v)
x(x > 2) = [];
disp(x)

function A = magic4()
A = [1 2 3; 4 5 6; 7 8 9];
end
