disp(1:4)
disp(0:0.5:2)
disp(5:-2:1)
disp(size(3:1))
disp(numel(0:0.1:1))
x = linspace(0, 1, 3);
disp(x)
n = 4;
y = (1:n) * 2;
disp(y)
z = 1:n+1;
disp(z)
k = -1:1;
disp(k)
