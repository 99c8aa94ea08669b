function [net, stats] = regress(varargin)
% Two numbers of each image, by a DagNN with layers of its own
opts.expDir = 'data/regress' ;
opts.numEpochs = 3 ;
opts = vl_argparse(opts, varargin) ;

imdb = makeImdb(24) ;
net = makeNet() ;

trainOpts.batchSize = 8 ;
trainOpts.numEpochs = opts.numEpochs ;
trainOpts.learningRate = logspace(-1, -2, opts.numEpochs) ;
trainOpts.weightDecay = 0 ;
trainOpts.derOutputs = {'objective', 1} ;

[net, stats] = cnn_train_dag(net, imdb, @getBatch, ...
  'expDir', opts.expDir, trainOpts, ...
  'train', find(imdb.images.set == 1), ...
  'val', find(imdb.images.set == 2)) ;
end

function net = makeNet()
net = dagnn.DagNN() ;
net.addLayer('conv1', dagnn.Conv('size', [3 3 1 4], 'hasBias', true), {'input'}, {'x1'}, {'f1', 'b1'}) ;
net.addLayer('swish1', Swish('beta', 1.5), {'x1'}, {'x2'}, {}) ;
net.addLayer('conv2', dagnn.Conv('size', [4 4 4 2], 'hasBias', true), {'x2'}, {'prediction'}, {'f2', 'b2'}) ;
net.addLayer('loss', SmoothL1('sigma', 2), {'prediction', 'target'}, {'objective'}) ;

% parameters, without chance
for p = 1:numel(net.params)
  name = net.params(p).name ;
  switch name
    case 'f1'
      sz = [3 3 1 4] ;
    case 'f2'
      sz = [4 4 4 2] ;
    otherwise
      l = find(strcmp(name, {'b1', 'b2'})) ;
      net.params(p).value = zeros(1, 6 - 2 * l, 'single') ;
      net.params(p).learningRate = 2 ;
      continue ;
  end
  net.params(p).value = single(reshape(sin(1:prod(sz)) / 10, sz)) ;
end
end

function inputs = getBatch(imdb, batch)
images = imdb.images.data(:,:,:,batch) ;
target = imdb.images.target(:,:,:,batch) ;
inputs = {'input', images, 'target', target} ;
end

function imdb = makeImdb(n)
imdb.images.data = single(reshape(cos((1:36*n).^1.5), 6, 6, 1, n)) ;
imdb.images.target = shapes.targets(n) ;
imdb.images.set = ones(1, n) ;
imdb.images.set(end-7:end) = 2 ;
end
