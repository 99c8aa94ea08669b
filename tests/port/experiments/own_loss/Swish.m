classdef Swish < dagnn.ElementWise
  properties
    beta = 1
  end
  methods
    function outputs = forward(obj, inputs, params)
      x = inputs{1} ;
      outputs{1} = x ./ (1 + exp(-obj.beta * x)) ;
    end
    function [derInputs, derParams] = backward(obj, inputs, params, derOutputs)
      x = inputs{1} ;
      s = 1 ./ (1 + exp(-obj.beta * x)) ;
      derInputs = {derOutputs{1} .* (s + obj.beta * x .* s .* (1 - s))} ;
      derParams = {} ;
    end
    function obj = Swish(varargin)
      obj.load(varargin{:}) ;
      obj.beta = obj.beta ;
    end
  end
end
