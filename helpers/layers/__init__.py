"""Networks whose forward pass is a numerical scheme or the solution of a differential equation.

Every layer is a `torch.nn.Module` on states of shape (..., features), or (batch, channels, rows, columns) for
those with convolutions, and works in the dtype and on the device of its input and its parameters. A vector field
is a module called as field(t, x), with t a float or a 0-d tensor. The argument `field` is such a module where a
layer has one field, and where it may have one for each of its steps (`ResidualStack`, `LMResNet`) a function that
makes them from the number of features.
"""

from .antisymmetric import AntisymmetricField, AntisymmetricLinear, AntisymmetricRNNCell
from .certificate import certified_accuracy, certified_radius
from .cnf import CNF, exact_divergence, hutchinson_divergence, log_normal
from .convex_potential import ConvexPotentialLayer, power_iteration, spectral_norm
from .convolution import conv, conv_transpose, operator_norm
from .differential_conv import DifferentialConv2d, kernel_from_operators, operator_basis, operators_from_kernel
from .discretize import discretize
from .fft_convolution import diagonal_kernel, fft_convolution
from .flow_matching import EmpiricalVelocity, FlowMatching, Guided, generate, paired, squared_norm, straightness
from .fno import FNO1d, SpectralConv1d, fourier_interpolation
from .graph_diffusion import GraphDiffusion
from .gru_ode import GRUODE
from .hamiltonian import HamiltonianBlock
from .hippo import Hippo, hippo, hippo_memory, legendre, project
from .hnn import HNN
from .implicit_euler import ImplicitEulerBlock
from .latent_ode import LatentODE
from .linear_scan import linear_scan
from .ltc import LTC
from .multiple_shooting import UDE, MultipleShooting, shooting_loss, shooting_windows
from .multistep import LMResNet
from .neural_cde import CDEField, NeuralCDE, with_time
from .ode_block import AugmentedODEBlock, ODEBlock
from .ode_rnn import ODERNN
from .pde_blocks import HamiltonianConvBlock, HyperbolicBlock, ParabolicBlock, SymmetricConv2d
from .perona_malik import PeronaMalik
from .pinn import PINN, gradient
from .polynet import PolyNetBlock
from .residual_stack import ResidualStack
from .reversible import ReversibleBlock
from .s4 import S4
from .s4d import S4D, diagonal_poles
from .s5 import S5
from .sde_block import SDEBlock, SDENet
from .selective_scan import selective_scan
from .selective_ssm import SelectiveSSM
from .stochastic_depth import StochasticDepth
from .time_mlp import TimeMLP
from .vector_field import FunctionField, MLPField
from .vp_sde import VPSDE

__all__ = [
    "AntisymmetricField",
    "AntisymmetricLinear",
    "AntisymmetricRNNCell",
    "AugmentedODEBlock",
    "CDEField",
    "CNF",
    "ConvexPotentialLayer",
    "DifferentialConv2d",
    "EmpiricalVelocity",
    "FNO1d",
    "FlowMatching",
    "FunctionField",
    "GRUODE",
    "GraphDiffusion",
    "Guided",
    "HNN",
    "HamiltonianBlock",
    "HamiltonianConvBlock",
    "Hippo",
    "HyperbolicBlock",
    "ImplicitEulerBlock",
    "LMResNet",
    "LTC",
    "LatentODE",
    "MLPField",
    "MultipleShooting",
    "NeuralCDE",
    "ODEBlock",
    "ODERNN",
    "PINN",
    "ParabolicBlock",
    "PeronaMalik",
    "PolyNetBlock",
    "ResidualStack",
    "ReversibleBlock",
    "S4",
    "S4D",
    "S5",
    "SDEBlock",
    "SDENet",
    "SelectiveSSM",
    "SpectralConv1d",
    "StochasticDepth",
    "SymmetricConv2d",
    "TimeMLP",
    "UDE",
    "VPSDE",
    "certified_accuracy",
    "certified_radius",
    "conv",
    "conv_transpose",
    "diagonal_kernel",
    "diagonal_poles",
    "discretize",
    "exact_divergence",
    "fft_convolution",
    "fourier_interpolation",
    "generate",
    "gradient",
    "hippo",
    "hippo_memory",
    "hutchinson_divergence",
    "kernel_from_operators",
    "legendre",
    "linear_scan",
    "log_normal",
    "operator_basis",
    "operator_norm",
    "operators_from_kernel",
    "paired",
    "power_iteration",
    "project",
    "selective_scan",
    "shooting_loss",
    "shooting_windows",
    "spectral_norm",
    "squared_norm",
    "straightness",
    "with_time",
]
