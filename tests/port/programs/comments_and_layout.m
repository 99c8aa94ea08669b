%{
A block comment
over lines
%}
x = 1; % beside

% alone
y = [1, 2, ... a note
     3];
if x == 1 % at the if
  % first in the block
  disp('one') ; disp('two')
end
z = x + ...
    2;
disp(z)
disp(y)
