global G
G = 5;
bump();
bump();
disp(G)
disp(counter())
disp(counter())

function bump()
global G
G = G + 1;
end

function n = counter()
persistent k
if isempty(k)
  k = 0;
end
k = k + 1;
n = k;
end
