/** Text and marks. */
export const INK = "#262626";
/** Ticks, axes and what is said in passing. */
export const MUTED = "#5C5C5C";
/** Lines of the grid and edges of pictures. */
export const FAINT = "#E3E3E3";
/** Behind everything. */
export const PAPER = "#FFFFFF";
/** Colours of Okabe and Ito, told apart by colour-blind readers too. */
export const BLUE = "#0072B2";
/** The second of them. */
export const VERMILLION = "#D55E00";
/** The third of them. */
export const GREEN = "#009E73";
