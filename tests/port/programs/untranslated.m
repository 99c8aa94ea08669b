try
  eval('x = 1;');
catch e
  disp(e.message)
end
disp('goes on')
