"""The map of the field: what is known at each of its places, in words, with papers and the chapter that goes on."""

from __future__ import annotations

from typing import NamedTuple

from helpers.chapters import written

FAMILIES = {
    "ode": ("ordinary (ODE)", "ordinary"),
    "sde": ("stochastic (SDE)", "stochastic"),
    "pde": ("partial (PDE)", "partial"),
    "cde": ("controlled (CDE)", "controlled"),
    "ssm": ("state space (SSM)", "state space"),
    "generative": ("generative flows and diffusion models", "generative"),
}
LEVELS = {"model": "model: the whole network", "layer": "layer: one component"}
QUESTIONS = {"explain": "explain the architecture", "improve": "improve the network", "apply": "where it is used"}


class Card(NamedTuple):
    """What stands at one place of the map.

    Attributes:
        keyword: at most 16 characters, for the overview.
        headline: the answer in one sentence.
        text: what to know about it.
        papers: authors, year, arXiv id; empty where nothing is known to us.
        chapter: where the collection continues; None where it has no chapter.
    """

    keyword: str
    headline: str
    text: str
    papers: str = ""
    chapter: int | None = None

    @property
    def source(self) -> str:
        """Papers and chapter in one line."""
        if not self.papers:
            return "No paper of which we are sure."
        if self.chapter is None:
            return f"{self.papers}. No chapter of ours goes there."
        return f"{self.papers}. Chapter {self.chapter}{'' if self.chapter in written() else ', to come'}."


UNKNOWN = Card(
    "",
    "Nothing known to us.",
    "We know of no work that answers this question here, and would be glad to hear of one. An empty place on a map "
    "says that nobody told the map makers, not that nothing is there.",
)

CARDS = {
    ("ode", "model", "explain"): Card(
        "Euler steps",
        "A residual block is one step of Euler's method.",
        "The identity holds for every residual network. That a network follows a flow is a hypothesis: it needs steps "
        "short enough for its weights, and a limit as the depth grows needs weights that vary smoothly from layer to "
        "layer. Both can be tested.",
        "E 2017; Haber & Ruthotto 2017 (arXiv 1705.03341); Sander et al. 2022 (arXiv 2205.14612)",
        1,
    ),
    ("ode", "model", "improve"): Card(
        "stable layers",
        "Stability theory says which weights let a perturbation grow.",
        "x − h Wᵀσ(Wx + b) is a step down a convex potential where σ rises with slopes of at most one. No longer than "
        "h = 2/‖W‖², it never increases the distance of two inputs. A Hamiltonian network keeps its gradients from "
        "vanishing at any depth.",
        "Meunier et al. 2022 (arXiv 2110.12690); Galimberti et al. 2021 (arXiv 2105.13205)",
        2,
    ),
    ("ode", "model", "apply"): Card(
        "learned energy",
        "A network can learn the energy of a motion instead of its velocity.",
        "A Hamiltonian neural network learns a scalar H(q, p); its derivatives give the vector field, whose exact flow "
        "conserves H. Trained on noisy observations, it learns a law with a conserved quantity.",
        "Greydanus et al. 2019 (arXiv 1906.01563)",
        8,
    ),
    ("ode", "layer", "explain"): Card(
        "liquid cells",
        "A recurrent cell can be an ODE whose time constant depends on the input.",
        "In a liquid time-constant network each neuron relaxes at a speed that its input sets, and its state stays in "
        "a bounded range. An ODE solver computes the output.",
        "Hasani et al. 2020 (arXiv 2006.04439)",
        5,
    ),
    ("ode", "layer", "improve"): Card(
        "antisymmetry",
        "A recurrent cell with an antisymmetric matrix turns its state instead of stretching it.",
        "In AntisymmetricRNN the matrix is W − Wᵀ, with imaginary eigenvalues: as far as the linearised equation "
        "tells, signals neither explode nor die out along a sequence. Some damping makes Euler's step stable as well.",
        "Chang et al. 2019 (arXiv 1902.09689)",
        2,
    ),
    ("ode", "layer", "apply"): Card(
        "sporadic data",
        "Between two measurements, the state of a cell can follow an ODE.",
        "A plain recurrent cell expects data at regular times. GRU-ODE-Bayes lets the state evolve until the next "
        "measurement comes, whenever that is; its authors apply it to health care and climate records.",
        "De Brouwer et al. 2019 (arXiv 1905.12374)",
        6,
    ),
    ("sde", "model", "explain"): Card(
        "random weights",
        "Independent random weights lead to a stochastic equation, not to an ordinary one.",
        "At initialisation with independent weights, a residual network scaled by L^(−1/2) tends to an SDE as it gets "
        "deeper; with weights smooth in depth, scaled by 1/L, to an ODE (Marion et al.). In trained networks Cohen et "
        "al. found either regime, or neither.",
        "Marion et al. 2022 (arXiv 2206.06929); Cohen et al. 2021 (arXiv 2105.12245)",
        1,
    ),
    ("sde", "model", "improve"): Card(
        "injected noise",
        "Noise inside a network can make it more robust; a plain remedy may do as well.",
        "Neural SDEs regularise by noise along the depth. A later study found that augmenting the data removes their "
        "advantage, so a fair comparison needs an augmented baseline.",
        "Liu et al. 2019 (arXiv 1906.02355); Oganesyan et al. 2020 (arXiv 2002.09779)",
        3,
    ),
    ("sde", "model", "apply"): Card(
        "uncertainty",
        "The size of the noise can say how unsure a network is.",
        "SDE-Net learns a drift that predicts and a diffusion that is small on familiar inputs and large elsewhere. "
        "Compare it with a simple detector of outliers before you trust it.",
        "Kong et al. 2020 (arXiv 2008.10546)",
        3,
    ),
    ("sde", "layer", "explain"): Card(
        "stochastic depth",
        "A residual block that is skipped at random takes a step of an SDE, in the weak sense.",
        "Stochastic depth and dropout in the branch add noise with the mean and the variance of an Euler–Maruyama "
        "step. With branches of size 1/L this noise fades as L grows.",
        "Lu et al. 2018 (arXiv 1710.10121); Sun, Tao & Du 2018 (arXiv 1812.00174)",
        3,
    ),
    ("sde", "layer", "improve"): Card(
        "noise that calms",
        "Noise in proportion to the state can stabilise a layer that would explode without it.",
        "dX = aX dt + σX dW grows like exp((a − σ²/2) t) on almost every path, so that σ² > 2a calms it. Its mean "
        "square grows like exp((2a + σ²) t) all the same: say which of the two you mean by stable.",
        "Liu et al. 2019 (arXiv 1906.02355)",
        3,
    ),
    ("pde", "model", "explain"): Card(
        "parabolic CNN",
        "A convolutional network can be a time-stepping scheme for a PDE on its image.",
        "A parabolic CNN smooths as heat does, a hyperbolic CNN carries its features along as a wave does. Both "
        "inherit step bounds of the kind that you meet at stop 3.",
        "Ruthotto & Haber 2018 (arXiv 1804.04272)",
        4,
    ),
    ("pde", "model", "improve"): Card(
        "reversible waves",
        "The type of the PDE decides what a deep network may forget.",
        "A parabolic network with a bounded step does not amplify a perturbation of its input. A hyperbolic network "
        "can be run backwards, so that training need not store its features.",
        "Ruthotto & Haber 2018 (arXiv 1804.04272)",
        4,
    ),
    ("pde", "model", "apply"): Card(
        "PDE-Net",
        "A network whose kernels are derivative stencils can find the PDE behind observed fields.",
        "It learns the stencils and the equation together from snapshots. What it finds is the equation that its own "
        "time steps obey, which differs a little from the true one.",
        "Long et al. 2018 (arXiv 1710.09668)",
        4,
    ),
    ("pde", "layer", "explain"): Card(
        "kernel = stencil",
        "A convolution kernel is a combination of derivatives.",
        "Every kernel of three taps is a sum of an average, a first and a second difference, and this change of basis "
        "can be undone. A convolution layer can thus be read as a differential operator.",
        "Ruthotto & Haber 2018 (arXiv 1804.04272)",
        4,
    ),
    ("pde", "layer", "improve"): Card(
        "graph diffusion",
        "A graph layer as a step of heat flow explains why deep graph networks make all nodes alike.",
        "Heat evens out differences; so do many layers of averaging over neighbours. Read as diffusion, a graph "
        "network (GRAND) has a stopping time and step bounds, and can use implicit steps.",
        "Chamberlain et al. 2021 (arXiv 2106.10934)",
        4,
    ),
    ("pde", "layer", "apply"): Card(
        "Fourier layers",
        "A layer that acts on low frequencies maps functions to functions, on any grid.",
        "The Fourier neural operator learns to map the data of a PDE to its solution. Whether it is faster than a good "
        "classical solver at equal error is a separate question, often asked of a weak baseline.",
        "Li et al. 2020 (arXiv 2010.08895); McGreivy & Hakim 2024 (arXiv 2407.07218)",
        8,
    ),
    ("cde", "model", "explain"): Card(
        "neural CDE",
        "A recurrent network in continuous time is an equation driven by its input path.",
        "In dz = F(z) dX the state moves when the data move. The order of the data matters, the speed at which they "
        "are read does not, unless time is made one of the channels.",
        "Kidger 2022 (arXiv 2202.02435)",
        6,
    ),
    ("cde", "model", "improve"): Card(
        "no peeking",
        "How data are joined into a path decides whether the model sees the future.",
        "With a natural cubic spline a later measurement changes the path before it. For predictions in real time the "
        "path must be built from the past alone.",
        "Morrill et al. 2021 (arXiv 2106.11028)",
        6,
    ),
    ("cde", "model", "apply"): Card(
        "irregular series",
        "Time series with gaps need no resampling: a path exists between the measurements.",
        "Neural CDEs read irregular, partly observed series as they are. A survey compares them with neural ODEs and "
        "SDEs for this purpose.",
        "Kidger 2022 (arXiv 2202.02435); Oh et al. 2025 (arXiv 2502.09885)",
        6,
    ),
    ("cde", "layer", "explain"): Card(
        "selectivity",
        "A selective state-space layer is a linear CDE, driven by gates of its input.",
        "The reading says what such layers can compute, in terms of the signature of their input, and why letting the "
        "input choose the transition makes a difference.",
        "Cirone et al. 2024 (arXiv 2402.19047)",
        5,
    ),
    ("cde", "layer", "improve"): Card(
        "mixed channels",
        "Dense transitions compute more than diagonal ones; stacking wins it back.",
        "The theory of linear CDEs separates the two: a diagonal layer is cheap and limited, a stack of diagonal "
        "layers with mixing between them is not.",
        "Cirone et al. 2024 (arXiv 2402.19047)",
        5,
    ),
    ("ssm", "model", "explain"): Card(
        "",
        "Nothing known to us.",
        "A state-space equation describes one layer, with data time as its clock. We know of no account of a whole "
        "stack of such layers as one differential equation in depth and data time.",
    ),
    ("ssm", "model", "apply"): Card(
        "Mamba",
        "Stacks of state-space layers serve as models of long sequences.",
        "Mamba is such a stack, with transitions that the input selects; its authors test it on language, audio and "
        "genomes. The differential equation is in each layer; its depth is not read as one.",
        "Gu & Dao 2023 (arXiv 2312.00752)",
        5,
    ),
    ("ssm", "layer", "explain"): Card(
        "HiPPO",
        "The state can hold the best polynomial picture of the whole past.",
        "HiPPO derives the matrices A and B for which the state consists of the coefficients of the input's history in "
        "orthogonal polynomials. Memory becomes an approximation problem with a known answer.",
        "Gu et al. 2020 (arXiv 2008.07669)",
        5,
    ),
    ("ssm", "layer", "improve"): Card(
        "eigenvalues",
        "The eigenvalues that a layer may have decide what it can keep track of.",
        "With eigenvalues between 0 and 1 a diagonal layer cannot follow the parity of a long sequence of bits. Let "
        "them be negative, and it can.",
        "Merrill et al. 2024 (arXiv 2404.08819); Grazzi et al. 2024 (arXiv 2411.12537)",
        5,
    ),
    ("ssm", "layer", "apply"): Card(
        "new time scales",
        "A layer that came from an ODE can read data at another speed.",
        "The sampling interval is a parameter of the discretisation, not of the equation. The authors of HiPPO tested "
        "theirs on time scales that it had not seen in training.",
        "Gu et al. 2020 (arXiv 2008.07669)",
        5,
    ),
    ("generative", "model", "explain"): Card(
        "moving density",
        "A flow carries a probability density along, and the change can be computed.",
        "Along the path of a point the logarithm of the density changes at the rate −tr(∂f/∂x). A continuous "
        "normalising flow is a neural ODE trained through this formula.",
        "Chen et al. 2018 (arXiv 1806.07366)",
        7,
    ),
    ("generative", "model", "improve"): Card(
        "straight paths",
        "The straighter the paths of a flow, the fewer evaluations it needs.",
        "Penalising the kinetic energy of the flow during training straightens its paths, and the solver gets away "
        "with fewer steps.",
        "Finlay et al. 2020 (arXiv 2002.02798)",
        9,
    ),
    ("generative", "model", "apply"): Card(
        "flow matching",
        "Images are generated by an equation that carries noise to data.",
        "A diffusion model learns the drift of an SDE that undoes the noising of data, flow matching the velocity of "
        "an ODE with the same purpose. Sampling is solving.",
        "Song et al. 2020 (arXiv 2011.13456); Lipman et al. 2022 (arXiv 2210.02747)",
        7,
    ),
    ("generative", "layer", "explain"): Card(
        "invertible block",
        "A residual block with a small enough branch can be undone.",
        "If the branch has a Lipschitz constant below one, x + F(x) is invertible, and a stack of such blocks is a "
        "generative model whose likelihood can be computed approximately.",
        "Behrmann et al. 2018 (arXiv 1811.00995)",
        None,
    ),
}


def card(family, level, question):
    """What is known to us at this place of the map; `UNKNOWN` where nothing is."""
    return CARDS.get((family, level, question), UNKNOWN)
