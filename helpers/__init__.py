"""The companion's shared package, floor by floor: a floor imports only from floors below it.

chapters    what belongs to one chapter alone: its pictures, their numerics, its exercises; a folder each
lesson      what a page of a lesson needs: explorers, claims, exercises; knows no torch
figures     the one look, and the pictures that several chapters share
attacks     noise, FGSM, PGD: what a perturbation of bounded size can do to a classifier
metrics     how far a set of samples is from another: sliced Wasserstein, Fréchet, nearest neighbour
training    fit, accuracy, device, seed: the loop that no chapter repeats
data        real data that ships inside packages, and simulated data; nothing is downloaded
layers      networks whose forward pass is a scheme, or the solution of a differential equation
solvers     how to step an equation: `odeint`, its methods as tableaux, how a method behaves; `sdeint` for noise

Importing `helpers` loads none of them: each chapter imports the rooms it uses.
"""
