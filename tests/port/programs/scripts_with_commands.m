close all; clear all
clc
format long
warning off
x = 3;
clear y
hold_on = 2;
disp(x + hold_on)
more off
