s = struct('a', 1, 'b', 'two', 'c', {{1, 2}});
disp(s.a)
disp(s.b)
disp(numel(s.c))
s.d.e.f = 4;
disp(s.d.e.f)
name = 'a';
s.(name) = 7;
disp(s.(name))
disp(isfield(s, 'd'))
disp(isfield(s, {'a', 'zz'}))
t = struct();
disp(isempty(fieldnames(t)))
f = fieldnames(s);
for i = 1:numel(f)
  fprintf('%s ', f{i});
end
fprintf('\n');
s = rmfield(s, 'd');
disp(numel(fieldnames(s)))
