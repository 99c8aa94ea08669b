net = dagnn.DagNN();
net.addLayer('conv', dagnn.Conv('size', [1 1 1 1], 'hasBias', false), {'input'}, {'x1'}, {'f'});
net.addLayer('relu', dagnn.ReLU(), {'x1'}, {'x2'}, {});
f = net.getParamIndex('f');
net.params(f).value = single(2);
net.vars(net.getVarIndex('x1')).precious = true;
net.mode = 'test';
net.eval({'input', single([1 -2])});
disp(net.vars(net.getVarIndex('x2')).value)
disp(net.getVarIndex('x2'))
disp(numel(net.layers))
names = {net.layers.name};
disp(names{2})
disp(isnan(net.getLayerIndex('nothing')))
for l = 1:numel(net.layers)
  fprintf('%s: %s\n', net.layers(l).name, class(net.layers(l).block));
end
disp(net.layers(end).inputs{1})
