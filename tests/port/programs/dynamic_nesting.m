net.layers = {};
net.layers{end+1} = struct('type', 'conv', 'weights', {{1, 2}}, 'stride', 1);
net.layers{end+1} = struct('type', 'relu');
net.layers{1}.weights{2} = [5 6];
net.layers{1}.stride = 2;
net.layers{end}.name = 'last';
net.meta.sizes(3) = 4;
net.meta.inputSize = [28 28 1];
disp(numel(net.layers))
disp(net.layers{1}.weights{2})
disp(net.layers{1}.stride)
disp(net.layers{2}.name)
disp(net.meta.sizes)
for i = 1:numel(net.layers)
  layer = net.layers{i};
  fprintf('%d %s\n', i, layer.type);
  layer.type = 'x';
end
disp(net.layers{1}.type)
net.layers(1) = [];
disp(numel(net.layers))
