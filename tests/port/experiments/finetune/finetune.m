function [net, info] = finetune(netPath, expDir)
% FINETUNE  New classes for a trained network: a new last layer that learns fast, others that learn slowly
if nargin < 2
  expDir = fullfile('data', 'finetune') ;
end
net = load(netPath) ;
net = vl_simplenn_tidy(net) ;
numClasses = 3 ;

% replace the classifier
last = numel(net.layers) ;
if strcmp(net.layers{end}.type, 'softmax')
  net.layers(end) = [] ;
  last = last - 1 ;
end
filters = size(net.layers{end}.weights{1}) ;
old = net.layers{end} ;
net.layers{end}.weights = {0.1 * cos(reshape(single(1:filters(3)*numClasses), 1, 1, filters(3), numClasses)), zeros(1, numClasses, 'single')} ;
net.layers{end}.name = 'classifier' ;
assert(~isequal(old.weights{1}, net.layers{end}.weights{1})) ;

% per-layer rates
for i = 1:numel(net.layers)
  if ~isfield(net.layers{i}, 'weights'), continue ; end
  if i == last
    net.layers{i}.learningRate = [10 20] ;
  else
    net.layers{i}.learningRate = 0.1 * ones(1, numel(net.layers{i}.weights)) ;
  end
  net.layers{i}.weightDecay = [1 0] ;
end
net.layers{end+1} = struct('name', 'loss', 'type', 'softmaxloss') ;
net = vl_simplenn_tidy(net) ;

imdb = patterns(30, numClasses) ;
avg = mean(imdb.images.data(:,:,:,imdb.images.set == 1), 4) ;
net.meta.normalization.averageImage = avg ;

[net, info] = cnn_train(net, imdb, @(imdb, batch) getBatch(imdb, batch, avg), ...
  'expDir', expDir, 'numEpochs', 4, 'batchSize', 6, 'learningRate', [0.01 * ones(1, 2) 0.005 * ones(1, 2)], ...
  'weightDecay', 0.001, 'errorFunction', 'multiclass', 'gpus', [], 'plotStatistics', false) ;

function [im, labels] = getBatch(imdb, batch, avg)
im = bsxfun(@minus, imdb.images.data(:,:,:,batch), avg) ;
labels = imdb.images.label(batch) ;

function imdb = patterns(n, classes)
data = zeros(4, 4, 1, n, 'single') ;
for i = 1:n
  k = mod(i, classes) ;
  data(:,:,1,i) = reshape(sin((1:16) * (k + 1) + i), 4, 4) ;
end
imdb.images.data = data ;
imdb.images.label = mod(1:n, classes) + 1 ;
imdb.images.set = ones(1, n) ;
imdb.images.set(1:5:n) = 2 ;
