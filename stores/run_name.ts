import { random as anyNumber } from "../random.ts";

const ADJECTIVES =
  `able agile amber ample bold brave breezy bright brisk calm candid clever cosmic crisp curious dapper daring deft eager
early earnest fair fearless fleet fluent fond frank fresh gentle glad golden grand handy happy hardy honest humble jolly
keen kind lively loyal lucid lucky mellow merry mighty mild modest neat nimble noble patient placid plucky polite proud
quick quiet ready robust rosy serene shiny silent sleek smart snappy solid spry steady sturdy sunny swift tidy tranquil
upbeat valiant vivid warm wise witty zesty`.split(/\s+/);

const NOUNS =
  `acorn badger bear beaver bison brook canyon cedar cliff cloud comet condor coral crane creek daisy deer dolphin dove
eagle elk ember falcon fern finch fjord flint forest fox gecko glade grove gull harbor hare hawk hedge heron hill ibis
island ivy jay kestrel kite lagoon lake lark lemur lily lion lynx maple marten meadow mole moon moose moss newt oak ocean
orca otter owl panda pebble pine plover pond puffin quail raven reef ridge river robin rook seal shore sparrow spruce
squid star stork stream swan thrush tiger toad trout tulip turtle valley walrus whale willow wolf wren yak zebra`
    .split(/\s+/);

/** A name for a run or model that was given none, such as `fearless-owl-427`; at most 20 characters. */
export function randomRunName(random: () => number = anyNumber): string {
  const pick = (words: readonly string[]) => words[Math.floor(random() * words.length)];
  const name = `${pick(ADJECTIVES)}-${pick(NOUNS)}-${Math.floor(random() * 1000)}`;
  return name.length <= 20 ? name : randomRunName(random);
}
