x = [];
if isempty(x) || x(1) == 2
  disp('short')
end
if ~isempty(x) && x(1) == 2
  disp('never')
end
a = 3;
if a, disp('nonzero'), end
if [1 1 0], disp('never'), else, disp('one is zero'), end
if [], disp('never'), else, disp('empty is false'), end
if 'a', disp('text'), end
b = a > 2 & a < 5;
disp(b)
if ~(a == 4), disp('not four'), end
if a ~= 4, disp('different'), end
if strcmp('x', 'y') || any([0 1]), disp('any'), end
