classdef SmoothL1 < dagnn.Loss
  %SMOOTHL1  Huber's loss: quadratic near zero, linear beyond

  properties
    sigma = 1   % where it turns linear
  end

  methods
    function outputs = forward(obj, inputs, params)
      d = inputs{1} - inputs{2} ;
      a = abs(d) ;
      near = a < 1 / obj.sigma^2 ;
      t = a - 0.5 / obj.sigma^2 ;
      t(near) = 0.5 * obj.sigma^2 * d(near).^2 ;
      outputs{1} = sum(t(:)) ;
      % the average over images, for the statistics
      n = obj.numAveraged ;
      m = n + size(inputs{1}, 4) ;
      obj.average = (n * obj.average + double(gather(outputs{1}))) / m ;
      obj.numAveraged = m ;
    end

    function [derInputs, derParams] = backward(obj, inputs, params, derOutputs)
      d = inputs{1} - inputs{2} ;
      g = sign(d) ;
      near = abs(d) < 1 / obj.sigma^2 ;
      g(near) = obj.sigma^2 * d(near) ;
      derInputs{1} = g .* derOutputs{1} ;
      derInputs{2} = [] ;
      derParams = {} ;
    end

    function obj = SmoothL1(varargin)
      obj.load(varargin) ;
    end
  end
end
