/** What is told of something that could not be logged: once a training. */
export function warnOnce(): (error: unknown) => void {
  let told = false;
  return (error) => {
    if (told) return;
    told = true;
    console.warn(`warning: the training goes on, but not all of it is logged: ${error}`);
  };
}
