% variables that a loop or branch makes by setting an element or a field
for i = 1:3
  c{i} = i * 10;
  v(i) = i;
  s(i).n = i;
end
disp(numel(c))
disp(c{2})
disp(v)
disp(sum([s.n]))
for i = 1:2
  if i == 1
    r.first = i;
  else
    r.second = i;
  end
end
fprintf('%d %d\n', r.first, r.second);
[s.n] = deal(5);
disp(sum([s.n]))
while numel(c) < 5
  c{end+1} = 0;
end
disp(numel(c))
