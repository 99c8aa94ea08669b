for i = 1:3
  if i == 2, continue; end
  fprintf('%d ', i);
end
fprintf('\n');
for i = 10:-3:1
  fprintf('%d ', i);
end
fprintf('\n');
k = 0;
while k < 10
  k = k + 3;
  if k > 5
    break
  end
end
disp(k)
for col = [1 2; 3 4]
  fprintf('%d,%d ', col(1), col(2));
end
fprintf('\n');
for v = {'a', 'b'}
  fprintf('%s', v{1});
end
fprintf('\n');
for i = []
  disp('never')
end
for x = 0:0.25:0.5
  fprintf('%.2f ', x);
end
fprintf('\n');
