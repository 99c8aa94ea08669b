A = [1 2 3; 4 5 6];
disp(sum(A))
disp(sum(A, 2))
disp(sum(A(:)))
disp(mean(A))
disp(max(A))
disp(max(A, [], 2))
disp(max(A, 4))
[m, i] = max([3 9 2]);
fprintf('%d %d\n', m, i);
[s, k] = sort([3 1 2], 'descend');
disp(s)
disp(k)
disp(prod([1 2 3 4]))
disp(cumsum([1 2 3]))
disp(any([0 0 1]))
disp(all([1 1 0]))
disp(std([2 4 4 4 5 5 7 9], 1))
disp(var([1 2 3 4]))
disp(median([3 1 2]))
disp(min([4 2 8]))
disp(sum([]))
disp(isempty(max([])))
disp(mean([1 2; 3 4], 2))
disp(numel(find([1 0 1])))
disp(norm([3 4]))
fprintf('%g ', diff([1 4 9; 2 8 18], 1, 2)); fprintf('\n');
fprintf('%g ', diff([1 4 9 16], 2)); fprintf('\n');
fprintf('%g ', cumprod([1 2; 3 4], 2)); fprintf('\n');
