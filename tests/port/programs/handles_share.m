net = dagnn.DagNN();
net.addLayer('relu', dagnn.ReLU(), {'input'}, {'x1'}, {});
copy = net;
change(copy);
disp(net.mode)
m = containers.Map();
m('a') = 1;
n = m;
n('b') = 2;
disp(m.Count)
disp(m.isKey('b'))
disp(m('b'))

function change(net)
net.mode = 'test';
end
