p(1).name = 'Ann';
p(2).name = 'Bob';
p(3).name = 'Cy';
disp(numel(p))
names = {p.name};
disp(names{3})
q = struct('v', {1, 2, 3});
disp(size(q))
disp(q(2).v)
disp(sum([q.v]))
q(2) = [];
disp(numel(q))
q(end+1).v = 10;
disp(q(end).v)
disp(isempty(p(2).name))
p(4).age = 3;
disp(isempty(p(1).age))
for e = q
  fprintf('%d ', e.v);
end
fprintf('\n');
