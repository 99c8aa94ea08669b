a = uint8(200);
b = a + 100;
disp(b)
disp(class(b))
disp(uint8(3.5))
disp(uint8(2.5))
fprintf('%d\n', int8(-200));
c = uint8([10 20 30]) / 3;
fprintf('%d ', c); fprintf('\n');
d = single(1) / 3;
disp(class(d))
e = single(2) * 1.5;
disp(class(e))
x = zeros(1, 2);
x(1) = uint8(7);
disp(class(x))
y = uint8([1 2 3]);
y(2) = 300;
fprintf('%d ', y); fprintf('\n');
disp(class(true + 1))
disp(class([single(1) 2]))
disp(5 - uint8(10))
