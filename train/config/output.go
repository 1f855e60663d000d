package config

// OutputFile is the file in a run's folder that what a run says may be kept in, by who starts it: it is there before the run.
const OutputFile = "output.log"
