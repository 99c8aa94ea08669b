opts = setup('rate', 0.1, 'name', 'b');
fprintf('%g %s %d\n', opts.rate, opts.name, opts.train.epochs);
opts = setup('train', struct('epochs', 9));
fprintf('%g %s %d\n', opts.rate, opts.name, opts.train.epochs);

function opts = setup(varargin)
opts.rate = 1;
opts.name = 'a';
opts.train.epochs = 5;
opts = vl_argparse(opts, varargin);
end
