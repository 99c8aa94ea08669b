fprintf('%d %s %.3f\n', 1, 'two', 3);
fprintf('%d\n', [1 2 3]);
fprintf('%d: %d\n', [1 2; 3 4]);
fprintf('no newline');
fprintf('\n');
fprintf('100%%\n');
fprintf('%g %g\n', 0.1, 1e10);
fprintf('%5d|%-5d|\n', 42, 42);
fprintf('%s\n', 'abc');
fprintf(1, 'to %s\n', 'stdout');
fprintf('%d\n', 1.5);
fprintf('[%s]\n', num2str([1 2 3]));
disp(0.1)
disp(100.5)
disp([1 1000])
disp([0.001 1])
disp(pi)
disp(-1)
disp(1e5)
disp({1, 'a'})
