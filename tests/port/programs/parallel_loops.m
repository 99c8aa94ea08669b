total = zeros(1, 4);
parfor i = 1:4
  total(i) = i^2;
end
disp(total)
x = gpuArray(single([1 2 3]));
y = gather(x * 2);
disp(y)
disp(class(y))
