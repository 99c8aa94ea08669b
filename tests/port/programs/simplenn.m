net.layers = {};
net.layers{end+1} = struct('type', 'conv', ...
  'weights', {{ones(1, 1, 1, 2, 'single'), zeros(1, 2, 'single')}}, ...
  'stride', 1, 'pad', 0);
net.layers{end+1} = struct('type', 'relu');
net = vl_simplenn_tidy(net);
x = single([1 -1; 2 -2]);
res = vl_simplenn(net, x);
disp(numel(res))
disp(res(end).x(:, :, 1))
res = vl_simplenn(net, x, ones(2, 2, 2, 'single'));
disp(res(1).dzdx)
disp(squeeze(res(1).dzdw{1})')
disp(numel(net.layers))
