try
  error('net:shape', 'size %d is not %d', 3, 4);
catch e
  fprintf('%s | %s\n', e.identifier, e.message);
end
try
  x = [1 2 3];
  y = x(5);
catch
  disp('beyond')
end
try
  error('plain text');
catch err
  disp(err.message)
end
try
  assert(false, 'it failed: %s', 'why');
catch err
  disp(err.message)
end
try
  check(-1);
catch err
  disp(err.message)
end
assert(true);
disp('done')

function check(v)
if v < 0
  error('check: %d is negative', v);
end
end
