s = 'hello';
disp([s ' world'])
disp(upper(s))
disp(s(1))
disp(s(end:-1:1))
disp(length(s))
disp(strcmp(s, 'hello'))
disp(strrep(s, 'l', 'L'))
disp(num2str(3.14159, 4))
disp(num2str(42))
disp(sprintf('%05.2f|%-5s|%x', 3.14159, 'ab', 255))
disp(['it''s ', "fine"])
parts = strsplit('a,b,c', ',');
disp(numel(parts))
disp(strjoin(parts, '-'))
disp(strtrim('   x  '))
disp(isempty(''))
disp(double('A'))
disp(char([72 105]))
disp(any(s == 'l'))
fprintf('%s\n', mat2str([1 2; 3 4]));
disp(regexprep('abc123', '\d+', '#'))
tok = regexp('net-epoch-12.mat', 'net-epoch-(\d+)\.mat', 'tokens');
disp(tok{1}{1})
disp(strfind('abcabc', 'bc'))
n = str2double({'1.5'; 'x'; '-2'});
fprintf('%d %d\n', size(n)); disp(n(3))
