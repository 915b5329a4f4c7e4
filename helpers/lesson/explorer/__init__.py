"""A picture with controls, declared once: live in Jupyter, alive on a page without a kernel, driven by the tests.

widget    `Explorer`, the declaration and what Jupyter shows of it      controls  `Slider`, `Choice`, `Toggle`
canvas    a figure drawn over and over, painting no more than moved     painting  what matplotlib paints, in its order
ahead     the next pictures, drawn while the reader looks               plane     a point moved in the picture itself
still     the explorer as a page without a kernel                       panels    which part of the picture moves when
driving   every setting visited, as the tests do                        png       pictures as bytes
explorer.js, explorer.css: its face, the same in Jupyter and on a page; still.js: what takes the kernel's place there
"""

from helpers.lesson.explorer.controls import Choice, Slider, Toggle
from helpers.lesson.explorer.widget import Explorer

__all__ = ["Choice", "Explorer", "Slider", "Toggle"]
