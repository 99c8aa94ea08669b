x = 3
y = 'text'
z = [1 2 3]
h = 0.5
b = true
m = [1.5 2; 3 4]
e = []
n = -7
