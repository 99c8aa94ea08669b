[a, b] = two(3);
fprintf('%d %d\n', a, b);
c = two(5);
fprintf('%d\n', c);
[~, d] = two(7);
fprintf('%d\n', d);
fprintf('%d\n', optional(1));
fprintf('%d\n', optional(1, 2));
fprintf('%d\n', count(1, 'a', []));
[x, y, z] = many();
fprintf('%d %d %d\n', x, y, z);
show('hello');
disp(fact(5))

function [p, q] = two(n)
p = n + 1;
q = n * 2;
end

function r = optional(a, b)
if nargin < 2
  b = 10;
end
r = a + b;
end

function n = count(varargin)
n = numel(varargin);
end

function varargout = many()
for i = 1:3
  varargout{i} = i * i;
end
end

function show(text)
fprintf('[%s]\n', text);
end

function f = fact(n)
if n <= 1
  f = 1;
  return
end
f = n * fact(n - 1);
end
