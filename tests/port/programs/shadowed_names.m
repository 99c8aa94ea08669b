list = [1 2];
len = numel(list);
lambda = 0.5;
class_ = 3;
l = 4;
str = 'text';
in = 7;
disp(len + lambda + class_ + l + in)
disp(str)
rt = 1; at = 2; ml = 3; pcn = 4;
disp(rt + at + ml + pcn)
sum = 10;
disp(sum)
layer.class = 5;
layer.copy = 6;
disp(layer.class + layer.copy)
def = 1; from = 2; is = 3;
disp(def + from + is)
