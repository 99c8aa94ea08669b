x = single(reshape(1:9, 3, 3));
f = ones(2, 2, 'single');
y = vl_nnconv(x, f, []);
disp(y)
z = vl_nnpool(x, 2, 'method', 'avg');
disp(z)
r = vl_nnrelu(single([-1 2]));
disp(r)
[dx, df] = vl_nnconv(x, f, [], ones(2, 2, 'single'));
disp(df)
d = vl_nnconv(x, f, [], ones(2, 2, 'single'));
disp(d)
s = vl_nnsoftmax(reshape(single([0 0]), 1, 1, 2));
disp(squeeze(s)')
