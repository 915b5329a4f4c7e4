"""The companion's shared package, floor by floor: a floor imports only from floors below it.

solvers     how to step an equation: `odeint`, its methods as tableaux, the analysis of a method
layers      networks whose forward pass is a scheme, or the solution of a differential equation
data        real data that ships inside packages, and simulated data; nothing is downloaded
training    fit, accuracy, device, seed: the loop that no chapter repeats
attacks     noise, FGSM, PGD: what a perturbation of bounded size can do to a classifier
figures     the pictures, one module a chapter, and the one look they share
lesson      what a page of a lesson needs: explorers, claims, exercises; knows no torch
exercises   the exercises of the chapters, one module a chapter: hints, checks, solutions

Importing `helpers` loads none of them: each chapter imports the rooms it uses.
"""
