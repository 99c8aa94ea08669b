rng(0);
x = rand(1, 3);
fprintf('%.4f ', x); fprintf('\n');
rng(1);
fprintf('%.4f ', rand(1, 2)); fprintf('\n');
rng(0);
p = randperm(5);
disp(sort(p))
rng(0);
disp(randi(10, 1, 3))
