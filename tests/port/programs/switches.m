words = {'conv', 'relu', 'other'};
for i = 1:numel(words)
  switch words{i}
    case 'conv'
      disp('filters')
    case {'relu', 'sigmoid'}
      disp('activation')
    otherwise
      disp('unknown')
  end
end
switch 3
  case 1
    disp('one')
  case {2, 3}
    disp('two or three')
end
switch lower('ADAM')
  case 'adam'
    disp('solver')
end
